"""Detection and reading over very many pictures: they are listed, cut into shards, and each shard is done whole.

`listing` finds the pictures, `plan` cuts them into shards, `shards` does one of them, `engines` does all of them.
"""
