"""Problems as people read them."""


def said(found):
    """The problems of a data set, a sample, an annotation or detections, as lines."""
    return [str(problem) for problem in found.problems]
