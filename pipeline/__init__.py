"""Everything behind the verbs, in two storeys: flows (deploy, generate, check, local, adopt) over nouns."""
