"""The scripts that made the miniatures: data, training, export, quantisation, manifest. See README.md."""
