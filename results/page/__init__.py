"""The HTML page of a table, its pictures, and its way to MLflow."""
