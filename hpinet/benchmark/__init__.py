"""How fast the engines are, against the arithmetic that the network needs and the rate this machine has."""
