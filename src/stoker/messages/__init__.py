"""What a message costs a decoder, told before one looks at it."""
