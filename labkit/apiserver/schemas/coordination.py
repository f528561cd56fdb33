"""Leases: coordination.k8s.io/v1."""

STRUCTS = """
Lease
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:LeaseSpec#2
LeaseSpec
  acquireTime:microtime#3 holderIdentity:string#1 leaseDurationSeconds?:int32#2
  leaseTransitions?:int32#5 preferredHolder:string#7 renewTime:microtime#4 strategy:string#6
"""
