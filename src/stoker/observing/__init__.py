"""What operators watch a server with."""
