"""What the stories need: the relay under test, its peers, and ways to break things."""
