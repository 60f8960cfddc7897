"""What must stay, stays; what nobody needs, goes: fsck, garbage collection, quota, a mark that outlives a dump."""
