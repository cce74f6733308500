"""HTTP for every port of the servers: what a connection may take, and who may ask."""
