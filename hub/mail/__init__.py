"""Mail: letters wait in the database, are written when they are sent, and are sent by one loop."""
