"""The public benchmarks, in their owners' layouts."""
