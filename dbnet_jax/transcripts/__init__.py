"""The text of pages in files: JSON, plain text, TSV, hOCR, ALTO and searchable PDF."""
