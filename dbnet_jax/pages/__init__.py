"""HTML pages: results, evaluations, inspections, scores."""
