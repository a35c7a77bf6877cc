"""One trial: from a checked configuration to a result, around the loop."""
