"""Pages for people: the application, sessions, forms, live updates and charts."""
