"""May I? authorization.k8s.io/v1, as far as it concerns the one who asks."""

STRUCTS = """
SelfSubjectAccessReview
  apiVersion:string kind:string metadata:ObjectMeta#1 spec!:SelfSubjectAccessReviewSpec#2
  status:SubjectAccessReviewStatus#3
SelfSubjectAccessReviewSpec
  nonResourceAttributes:NonResourceAttributes#2 resourceAttributes:ResourceAttributes#1
NonResourceAttributes
  path:string#1 verb:string#2
ResourceAttributes
  fieldSelector:FieldSelectorAttributes#8 group:string#3 labelSelector:LabelSelectorAttributes#9
  name:string#7 namespace:string#1 resource:string#5 subresource:string#6 verb:string#2
  version:string#4
FieldSelectorAttributes
  rawSelector:string#1 requirements:[]FieldSelectorRequirement#2
FieldSelectorRequirement
  key!:string#1 operator!:string#2 values:[]string#3
LabelSelectorAttributes
  rawSelector:string#1 requirements:[]LabelSelectorRequirement#2
SubjectAccessReviewStatus
  allowed!:bool#1 denied:bool#4 evaluationError:string#3 reason:string#2
SelfSubjectRulesReview
  apiVersion:string kind:string metadata:ObjectMeta#1 spec!:SelfSubjectRulesReviewSpec#2
  status:SubjectRulesReviewStatus#3
SelfSubjectRulesReviewSpec
  namespace:string#1
SubjectRulesReviewStatus
  evaluationError:string#4 incomplete!:bool#3 nonResourceRules!:[]NonResourceRule#2
  resourceRules!:[]ResourceRule#1
NonResourceRule
  nonResourceURLs:[]string#2 verbs!:[]string#1
ResourceRule
  apiGroups:[]string#2 resourceNames:[]string#4 resources:[]string#3 verbs!:[]string#1
"""
