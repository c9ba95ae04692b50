"""Detections and truths in files that anybody wrote: archives and formats."""
