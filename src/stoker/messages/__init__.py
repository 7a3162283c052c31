"""Checks what a message costs a decoder, before it is decoded."""
