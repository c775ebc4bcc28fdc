"""What was said: sessions, their turns and the feedback on them."""
