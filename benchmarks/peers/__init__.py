"""Compare the server with other ways to serve the same model. README.md in this folder describes them."""
