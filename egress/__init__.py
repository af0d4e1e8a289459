"""Egress records and streams live WebRTC rooms."""

__version__ = "0.1.0"
