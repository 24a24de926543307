"""What a database's schema is: read it, compare two of them, draw one."""
