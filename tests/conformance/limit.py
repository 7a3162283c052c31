"""How the program tells the application which limit the suite wants."""

MAX_MESSAGE_BYTES = "CONFORMANCE_MAX_MESSAGE_BYTES"
