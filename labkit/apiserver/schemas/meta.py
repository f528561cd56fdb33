"""The structs that every kind shares: metadata, selectors, options."""

STRUCTS = """
ObjectMeta
  annotations:{}string creationTimestamp:time deletionGracePeriodSeconds:int64
  deletionTimestamp:time finalizers:[]string@ generateName:string generation:int64
  labels:{}string managedFields:[]ManagedFieldsEntry name:string namespace:string
  ownerReferences:[]OwnerReference@uid resourceVersion:string selfLink:string uid:string
ManagedFieldsEntry
  apiVersion:string fieldsType:string fieldsV1:any manager:string operation:string
  subresource:string time:time
OwnerReference
  apiVersion!:string blockOwnerDeletion:bool controller:bool kind!:string name!:string
  uid!:string
LabelSelector
  matchExpressions:[]LabelSelectorRequirement matchLabels:{}string
LabelSelectorRequirement
  key!:string operator!:string values:[]string
Condition
  lastTransitionTime!:time message!:string observedGeneration:int64 reason!:string
  status!:string type!:string
DeleteOptions
  apiVersion:string dryRun:[]string gracePeriodSeconds:int32
  ignoreStoreReadErrorWithClusterBreakingPotential:bool kind:string orphanDependents:bool
  preconditions:Preconditions propagationPolicy:string
Preconditions
  resourceVersion:string uid:string
"""
