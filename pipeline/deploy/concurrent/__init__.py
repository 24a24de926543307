"""Files whose one statement cannot run in a transaction: observe what is there, decide what to do, act."""
