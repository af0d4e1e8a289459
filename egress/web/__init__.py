"""What Egress serves over HTTP. Imports neither av, numpy nor aiortc."""
