"""From pixels to random views."""
