"""Use cases, one method each. They decide in transactions; handlers and pages call them."""
