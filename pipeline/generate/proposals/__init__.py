"""From a difference to the files that a careful person would write: proposals, of which the gate proves one."""
