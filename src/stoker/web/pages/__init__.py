"""The handlers of pages, a module for each subject."""
