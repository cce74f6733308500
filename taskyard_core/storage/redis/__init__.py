"""Redis or Valkey: lanes, hints and their epoch. Nothing here is the truth; all of it can be built again."""
