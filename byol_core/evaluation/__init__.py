"""How good a frozen encoder is: a protocol per file."""
