"""Where the steps of a case run. So far: as processes of this machine (`local`)."""
