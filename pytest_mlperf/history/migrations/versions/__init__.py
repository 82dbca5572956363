"""One module a version. A module is never changed once it was released: it says how tables were then."""
