"""Users, proposals and memberships: the tables that the Hub and the service share."""
