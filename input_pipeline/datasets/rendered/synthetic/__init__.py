"""The quickstart's rendered words and lines."""
