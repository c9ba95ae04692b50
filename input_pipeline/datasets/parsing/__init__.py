"""What readers of labels share: annotations, outlines, JSON values, masks, MATLAB files, folders."""
