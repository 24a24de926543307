"""What a service imports to use the chat platform's database. Importing it opens nothing."""
