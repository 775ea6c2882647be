"""Starting engines: bound before they touch memory, watched until they answer, stopped without leftovers."""
