"""The database itself: addresses, connections, transactions, migrations."""
