"""Word count: a whole cluster does real work while parts of it are killed, and nothing is lost or counted twice."""
