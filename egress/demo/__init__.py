"""Synthetic participants: people who flash and beep on every whole second, published by WHIP over real WebRTC."""
