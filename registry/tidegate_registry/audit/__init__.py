"""Every change of state and every refusal as an entry, committed with the change it describes."""
