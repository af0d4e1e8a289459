"""Pictures that previews are held to."""
