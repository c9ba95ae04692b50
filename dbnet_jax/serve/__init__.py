"""The HTTP service: detection and reading of pictures that clients send, and a page to try it."""
