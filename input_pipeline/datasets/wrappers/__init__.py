"""Data sets made of other data sets: cached, mixed, in processes, on the device, words joined to lines."""
