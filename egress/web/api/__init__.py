"""The API of the service, a module a noun; /api/v1."""
