# A stand-in for the hub's file of this name; lmdeploy does not read it.
