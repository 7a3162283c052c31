"""The databases that the store works on, each with its connections, transactions and errors."""
